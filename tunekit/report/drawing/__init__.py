"""Drawing plots as SVG that stretches with the page while its letters keep their size."""
