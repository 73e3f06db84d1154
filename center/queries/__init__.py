"""Questions about stored facts, answered with KPIs."""
