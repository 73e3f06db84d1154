"""What the commands of several rooms share: options, exit statuses, signals, output on a terminal."""
