"""What follows the log and acts on the world."""
