package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

const (
	userType  = "nexus_user"
	orphanWAL = "user"
)

// orphan is written down before a user is made, and struck out when OpenBao has it: what stays is deleted.
type orphan struct {
	UserID string `json:"user_id" mapstructure:"user_id"`
}

func (b *backend) pathCredentials() *framework.Path {
	return &framework.Path{
		Pattern: "creds/" + framework.GenericNameRegex("name"),
		Fields: map[string]*framework.FieldSchema{
			"name": {Type: framework.TypeString, Description: "Name of the role."},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{Callback: b.makeUser},
		},
		HelpSynopsis: "Make a user with a role's rights, for as long as the lease lives.",
	}
}

func (b *backend) user() *framework.Secret {
	return &framework.Secret{
		Type: userType,
		Fields: map[string]*framework.FieldSchema{
			"username": {Type: framework.TypeString, Description: "The user's id."},
			"password": {Type: framework.TypeString, Description: "The user's password."},
		},
		Renew:  b.renewUser,
		Revoke: b.revokeUser,
	}
}

func (b *backend) makeUser(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	name := data.Get("name").(string)
	r, err := loadRole(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return logical.ErrorResponse("there is no role %q", name), nil
	}
	server, err := connect(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	userID := fmt.Sprintf("v-%s-%s", name, hex.EncodeToString(random(8)))
	password := base64.RawURLEncoding.EncodeToString(random(32))
	note, err := framework.PutWAL(ctx, req.Storage, orphanWAL, orphan{UserID: userID})
	if err != nil {
		return nil, err
	}
	if err := server.createUser(ctx, userID, password, r.Roles); err != nil {
		return nil, err
	}
	response := b.Secret(userType).Response(
		map[string]any{"username": userID, "password": password},
		map[string]any{"user_id": userID, "role": name},
	)
	response.Secret.TTL, response.Secret.MaxTTL = r.TTL, r.MaxTTL
	if err := framework.DeleteWAL(ctx, req.Storage, note); err != nil {
		return nil, fmt.Errorf("the user is deleted again: %w", err)
	}
	return response, nil
}

func (b *backend) renewUser(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	name, _ := req.Secret.InternalData["role"].(string)
	r, err := loadRole(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, fmt.Errorf("the role %q is gone, so its users are not renewed", name)
	}
	response := &logical.Response{Secret: req.Secret}
	response.Secret.TTL, response.Secret.MaxTTL = r.TTL, r.MaxTTL
	return response, nil
}

func (b *backend) revokeUser(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	userID, ok := req.Secret.InternalData["user_id"].(string)
	if !ok {
		return nil, fmt.Errorf("the lease names no user")
	}
	server, err := connect(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return nil, server.deleteUser(ctx, userID)
}

// deleteOrphan deletes the user of a creation that did not come to its end.
func (b *backend) deleteOrphan(ctx context.Context, req *logical.Request, kind string, data any) error {
	fields, ok := data.(map[string]any)
	userID, named := fields["user_id"].(string)
	if kind != orphanWAL || !ok || !named {
		return fmt.Errorf("unknown note %q", kind)
	}
	server, err := connect(ctx, req.Storage)
	if err != nil {
		return err
	}
	return server.deleteUser(ctx, userID)
}

func random(size int) []byte {
	bytes := make([]byte, size)
	_, _ = rand.Read(bytes) // Never fails: the program ends if the system has no randomness.
	return bytes
}
