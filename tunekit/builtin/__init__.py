"""The components that come with tunekit; they import only what a plugin may import."""
