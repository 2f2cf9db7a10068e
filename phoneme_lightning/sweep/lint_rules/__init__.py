"""The playbook's rules on a round, by what they look at."""
