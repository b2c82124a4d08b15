"""One folder a chapter: its derivations, evidence, explorables, figures and lab."""
