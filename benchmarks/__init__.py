"""What the gateway costs and how long answers take, measured by recipes that can be re-run."""
