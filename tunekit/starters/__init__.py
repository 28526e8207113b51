"""What ``tunekit new`` starts a plugin from: one module for each kind, which works as it stands.

The user gets the text of a module under names of his own, so these modules use what a plugin may
use, and their comments speak to somebody who writes one for the first time.
"""
