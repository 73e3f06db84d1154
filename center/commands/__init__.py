"""Commands of a center's operator. Each module imports click only; what a command runs is imported when it is used."""
