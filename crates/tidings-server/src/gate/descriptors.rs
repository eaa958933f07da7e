//! How many descriptors the process may have.

/// How many descriptors the process may have open, read once; a guess where the kernel does not say.
pub(super) fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    soft_limit(&limits).unwrap_or(GUESS)
}

/// What most systems allow.
const GUESS: usize = 1_024;

/// More than a machine has ports and memory for.
const UNLIMITED: usize = 10_000_000;

/// The soft limit in `/proc/self/limits` (`proc(5)`).
fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(UNLIMITED),
        number => number.parse::<usize>().ok().map(|number| number.min(UNLIMITED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(soft_limit(limits), Some(1_024));
        assert_eq!(soft_limit(&limits.replace("1024 ", "unlimited ")), Some(UNLIMITED));
        assert_eq!(soft_limit("nothing"), None);
    }
}
