"""The sliding window as an animation: frames, their drawing, their file."""
