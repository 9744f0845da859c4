//! One table of options: arguments, environment and files become one valid value.
