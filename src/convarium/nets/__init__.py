"""One file a family, reading like the paper's table. Built by name through `convarium.api`."""
