"""HashEE: every token has its own number of layers."""
