"""What watches an installation: the list of metrics and the dashboards, each from one source."""
