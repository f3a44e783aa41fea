package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/openbao/openbao/sdk/v2/logical"
)

const patience = 15 * time.Second

// nexus is Nexus's REST API, as far as users go. Its errors hold neither bodies nor credentials.
type nexus struct {
	config
	client *http.Client
}

// connect returns the Nexus that is configured.
func connect(ctx context.Context, storage logical.Storage) (*nexus, error) {
	c, err := loadConfig(ctx, storage)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, errNotConfigured
	}
	client := &http.Client{
		Timeout: patience,
		// The administrator's password goes to the configured address only.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &nexus{config: *c, client: client}, nil
}

// createUser makes an active user with the given roles.
func (n *nexus) createUser(ctx context.Context, userID, password string, roles []string) error {
	body, err := json.Marshal(map[string]any{
		"userId":       userID,
		"firstName":    userID,
		"lastName":     "lease",
		"emailAddress": userID + "@forgeline.invalid",
		"password":     password,
		"status":       "active",
		"roles":        roles,
	})
	if err != nil {
		return err
	}
	status, err := n.call(ctx, http.MethodPost, "", body)
	if err != nil {
		return err
	}
	if status == http.StatusBadRequest {
		return fmt.Errorf("Nexus refused the user (400); does it have the roles %s?", strings.Join(roles, ", "))
	}
	return n.judge(status, "make the user")
}

// deleteUser deletes a user; one that is gone already is fine.
func (n *nexus) deleteUser(ctx context.Context, userID string) error {
	status, err := n.call(ctx, http.MethodDelete, "/"+url.PathEscape(userID), nil)
	if err != nil || status == http.StatusNotFound {
		return err
	}
	return n.judge(status, "delete the user")
}

func (n *nexus) judge(status int, what string) error {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Errorf("Nexus did not %s (%d): see the username and password in config", what, status)
	case status < 200 || status > 299:
		return fmt.Errorf("Nexus did not %s (%d)", what, status)
	}
	return nil
}

func (n *nexus) call(ctx context.Context, method, path string, body []byte) (int, error) {
	address := n.URL + "/service/rest/v1/security/users" + path
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.SetBasicAuth(n.Username, n.Password)
	request.Header.Set("Content-Type", "application/json")
	response, err := n.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("Nexus can't be reached: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, nil
}
