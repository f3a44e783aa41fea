"""Components made of the provider's resources: a typed configuration beside each."""
