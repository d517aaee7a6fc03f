"""What pages share: the side bar, a page's title and text, widgets, and a figure's footer."""
