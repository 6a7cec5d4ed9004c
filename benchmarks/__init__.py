"""Measurements that a user can repeat. Nothing imports this."""
