"""What feeds the pipeline: live rows, recorded history, and corrections of the gateway's time."""
