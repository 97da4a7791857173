"""The console on the board of the bot's own machine."""
