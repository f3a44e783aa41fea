package main

import (
	"context"
	"time"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

const help = `
Users of a Sonatype Nexus Repository, each for as long as its lease lives.

Write "config" (url, username, password of an administrator) and "roles/NAME" (the Nexus roles that a user gets),
then read "creds/NAME".
`

// orphanAge is how old an unfinished creation must be before its user is deleted: longer than any creation takes.
const orphanAge = 2 * time.Minute

type backend struct {
	*framework.Backend
}

// Factory makes the secrets engine.
func Factory(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	b := &backend{}
	b.Backend = &framework.Backend{
		Help:              help,
		BackendType:       logical.TypeLogical,
		RunningVersion:    version,
		PathsSpecial:      &logical.Paths{SealWrapStorage: []string{configKey}},
		Paths:             []*framework.Path{b.pathConfig(), b.pathRoles(), b.pathRole(), b.pathCredentials()},
		Secrets:           []*framework.Secret{b.user()},
		WALRollback:       b.deleteOrphan,
		WALRollbackMinAge: orphanAge,
	}
	if err := b.Setup(ctx, conf); err != nil {
		return nil, err
	}
	return b, nil
}
