"""Everything that stands servers up and configures them."""
