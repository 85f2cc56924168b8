//! Git as the coordinator sees it: mirrors, merges without a checkout, changed paths.
