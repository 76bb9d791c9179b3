"""Real devices, one file each. What decides (frames, retries, leases) is a plain object under any clock; only
`link` touches a port. A driver imports its optional package when a device is made, never at import.
"""
