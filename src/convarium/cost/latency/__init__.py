"""What a forward pass will take on this machine, from its operators alone; calibrated once."""
