"""Data that nets learn from: photographs, paintings, video clips and the table of styles."""
