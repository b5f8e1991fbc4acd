"""Files and configurations damaged at random: every one is used, or told in one line."""
