//! Objects and grants in SQL: written once, spoken in several dialects.
