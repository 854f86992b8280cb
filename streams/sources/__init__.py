"""Sources: what clusters and files say, as change sets."""
