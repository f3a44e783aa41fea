"""One typed client a system, on the field's own libraries; the only place where a secret's value is read."""
