"""How like GitLab the embedded GitLab is, by what GitLab and others wrote."""
