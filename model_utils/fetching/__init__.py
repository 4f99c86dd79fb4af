"""What a city needs, fetched from public archives into folders that `pm25 prepare` reads.

`transfer` knows how to fetch files and nothing of what they are; each source knows what to fetch and how it is asked.
"""
