"""The project's list of hostile inputs, through the program as its users run it."""
