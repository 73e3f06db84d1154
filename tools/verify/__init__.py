"""`nhip verify`: whether files are what their packager signed."""
