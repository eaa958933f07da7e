//! Hub, shards, rooms.
