//! What each operation means: access, life cycle, custody of keys, batches.
