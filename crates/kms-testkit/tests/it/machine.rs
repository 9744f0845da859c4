//! A machine in trouble, as programs on it see it.

use std::process::Command;

use kms_testkit::machine::Machine;

fn run(machine: &Machine, script: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", script]).envs(machine.environment());
    let output = command.output().unwrap();
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_full_disk_takes_nothing_more() {
    let machine = Machine::new();
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("file");
    let path = path.display();
    let append = |text: &str| {
        format!("echo {text} | dd of={path} oflag=append conv=notrunc status=none; cat {path}")
    };
    assert_eq!(run(&machine, &append("before")), "before\n");
    machine.fill_disk(true);
    let said = run(&machine, &append("more"));
    assert!(said.contains("No space left on device"), "{said}");
    // What is there can be written over, and other things than files are no matter of disks.
    let said = run(&machine, &format!("printf B | dd of={path} conv=notrunc; cat {path}"));
    assert!(said.starts_with("Before\n"), "{said}");
    machine.fill_disk(false);
    assert_eq!(run(&machine, &append("after")), "Before\nafter\n");
}

#[test]
fn a_clock_is_set() {
    let machine = Machine::new();
    let clock = |machine: &Machine| run(machine, "date -u +%s").trim().parse::<i64>().unwrap();
    let now = clock(&machine);
    machine.set_clock(-1_000_000);
    let then = clock(&machine);
    assert!((now - 1_000_000..now - 999_000).contains(&then), "{now} {then}");
}
