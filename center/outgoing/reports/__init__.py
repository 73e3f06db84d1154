"""The shift report for the daily meeting: its numbers, as a page, as a PDF, by mail."""
