"""What queries, console and API share: buckets, schedules, sites, viewers."""
