package main

import (
	"context"
	"time"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

const (
	rolePrefix    = "roles/"
	defaultTTL    = 10 * time.Minute
	defaultMaxTTL = time.Hour
)

// role says what a user may do in Nexus, and for how long.
type role struct {
	Roles  []string      `json:"roles"`
	TTL    time.Duration `json:"ttl"`
	MaxTTL time.Duration `json:"max_ttl"`
}

func (b *backend) pathRoles() *framework.Path {
	return &framework.Path{
		Pattern: "roles/?$",
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ListOperation: &framework.PathOperation{Callback: b.listRoles},
		},
		HelpSynopsis: "The roles that there are.",
	}
}

func (b *backend) pathRole() *framework.Path {
	return &framework.Path{
		Pattern: "roles/" + framework.GenericNameRegex("name"),
		Fields: map[string]*framework.FieldSchema{
			"name":    {Type: framework.TypeString, Description: "Name of the role."},
			"roles":   {Type: framework.TypeCommaStringSlice, Description: "Ids of the Nexus roles that a user gets."},
			"ttl":     {Type: framework.TypeDurationSecond, Description: "How long a user lives. 10 minutes if left out."},
			"max_ttl": {Type: framework.TypeDurationSecond, Description: "How long renewals can keep it. 1 hour if left out."},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.CreateOperation: &framework.PathOperation{Callback: b.writeRole},
			logical.UpdateOperation: &framework.PathOperation{Callback: b.writeRole},
			logical.ReadOperation:   &framework.PathOperation{Callback: b.readRole},
			logical.DeleteOperation: &framework.PathOperation{Callback: b.deleteRole},
		},
		ExistenceCheck: func(ctx context.Context, req *logical.Request, data *framework.FieldData) (bool, error) {
			r, err := loadRole(ctx, req.Storage, data.Get("name").(string))
			return r != nil, err
		},
		HelpSynopsis: "What a user may do in Nexus, and for how long.",
	}
}

func (b *backend) listRoles(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	names, err := req.Storage.List(ctx, rolePrefix)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(names), nil
}

func (b *backend) writeRole(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	name := data.Get("name").(string)
	r, err := loadRole(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		r = &role{TTL: defaultTTL, MaxTTL: defaultMaxTTL}
	}
	if value, ok := data.GetOk("roles"); ok {
		r.Roles = value.([]string)
	}
	for field, place := range map[string]*time.Duration{"ttl": &r.TTL, "max_ttl": &r.MaxTTL} {
		if value, ok := data.GetOk(field); ok {
			*place = time.Duration(value.(int)) * time.Second
		}
	}
	if len(r.Roles) == 0 {
		return logical.ErrorResponse("roles must name at least one Nexus role"), nil
	}
	if r.TTL <= 0 || r.MaxTTL < r.TTL {
		return logical.ErrorResponse("ttl must be more than 0, and max_ttl no less than ttl"), nil
	}
	entry, err := logical.StorageEntryJSON(rolePrefix+name, r)
	if err != nil {
		return nil, err
	}
	return nil, req.Storage.Put(ctx, entry)
}

func (b *backend) readRole(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	r, err := loadRole(ctx, req.Storage, data.Get("name").(string))
	if r == nil || err != nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{
		"roles":   r.Roles,
		"ttl":     int64(r.TTL.Seconds()),
		"max_ttl": int64(r.MaxTTL.Seconds()),
	}}, nil
}

func (b *backend) deleteRole(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	return nil, req.Storage.Delete(ctx, rolePrefix+data.Get("name").(string))
}

// loadRole returns nil where there is none.
func loadRole(ctx context.Context, storage logical.Storage, name string) (*role, error) {
	entry, err := storage.Get(ctx, rolePrefix+name)
	if entry == nil || err != nil {
		return nil, err
	}
	r := &role{}
	return r, entry.DecodeJSON(r)
}
