"""The catalogue of services, and the pipelines made from it."""
