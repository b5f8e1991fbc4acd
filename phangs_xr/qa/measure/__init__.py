"""What is measured of a finished field: nebula fluxes, noise, shift; nothing is drawn here."""
