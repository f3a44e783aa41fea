package main

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

const configKey = "config"

var errNotConfigured = errors.New("the Nexus to make users in is not configured: write config first")

// config is the Nexus that users are made in, and the administrator who makes them.
type config struct {
	URL      string `json:"url"`
	Username string `json:"username"`
	Password string `json:"password"`
}

func (b *backend) pathConfig() *framework.Path {
	return &framework.Path{
		Pattern: "config",
		Fields: map[string]*framework.FieldSchema{
			"url":      {Type: framework.TypeString, Description: "Address of Nexus, without a path."},
			"username": {Type: framework.TypeString, Description: "An administrator of Nexus."},
			"password": {
				Type:         framework.TypeString,
				Description:  "The administrator's password. Never read back; left out of a later write, it stays.",
				DisplayAttrs: &framework.DisplayAttributes{Sensitive: true},
			},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.CreateOperation: &framework.PathOperation{Callback: b.writeConfig},
			logical.UpdateOperation: &framework.PathOperation{Callback: b.writeConfig},
			logical.ReadOperation:   &framework.PathOperation{Callback: b.readConfig},
			logical.DeleteOperation: &framework.PathOperation{Callback: b.deleteConfig},
		},
		ExistenceCheck: func(ctx context.Context, req *logical.Request, _ *framework.FieldData) (bool, error) {
			c, err := loadConfig(ctx, req.Storage)
			return c != nil, err
		},
		HelpSynopsis: "The Nexus that users are made in.",
	}
}

func (b *backend) writeConfig(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	c, err := loadConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if c == nil {
		c = &config{}
	}
	for name, field := range map[string]*string{"url": &c.URL, "username": &c.Username, "password": &c.Password} {
		if value, ok := data.GetOk(name); ok {
			*field = value.(string)
		}
	}
	c.URL = strings.TrimRight(c.URL, "/")
	address, err := url.Parse(c.URL)
	if err != nil || address.Host == "" || (address.Scheme != "http" && address.Scheme != "https") || address.User != nil {
		return logical.ErrorResponse("url must be http(s)://HOST[:PORT], without credentials"), nil
	}
	if c.Username == "" || c.Password == "" {
		return logical.ErrorResponse("username and password are needed"), nil
	}
	entry, err := logical.StorageEntryJSON(configKey, c)
	if err != nil {
		return nil, err
	}
	return nil, req.Storage.Put(ctx, entry)
}

func (b *backend) readConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	c, err := loadConfig(ctx, req.Storage)
	if c == nil || err != nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{"url": c.URL, "username": c.Username}}, nil
}

func (b *backend) deleteConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	return nil, req.Storage.Delete(ctx, configKey)
}

// loadConfig returns nil where nothing was written.
func loadConfig(ctx context.Context, storage logical.Storage) (*config, error) {
	entry, err := storage.Get(ctx, configKey)
	if entry == nil || err != nil {
		return nil, err
	}
	c := &config{}
	return c, entry.DecodeJSON(c)
}
