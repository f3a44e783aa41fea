package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

const adminPassword = "the-admin-password"

// fakeNexus keeps users as Nexus's REST API does.
type fakeNexus struct {
	mu    sync.Mutex
	users map[string]map[string]any
	fail  int
}

func (f *fakeNexus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, password, _ := r.BasicAuth(); password != adminPassword {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if f.fail != 0 {
		w.WriteHeader(f.fail)
		_, _ = w.Write(body) // The worst case: a server that echoes.
		return
	}
	id := strings.TrimPrefix(r.URL.Path, "/service/rest/v1/security/users")
	switch r.Method {
	case http.MethodPost:
		user := map[string]any{}
		if json.Unmarshal(body, &user) != nil || user["status"] != "active" || user["emailAddress"] == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		f.users[user["userId"].(string)] = user
	case http.MethodDelete:
		if _, ok := f.users[id[1:]]; !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		delete(f.users, id[1:])
		w.WriteHeader(http.StatusNoContent)
	}
}

type engine struct {
	t       *testing.T
	backend *backend
	storage *logical.InmemStorage
	nexus   *fakeNexus
	log     *strings.Builder
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	fake := &fakeNexus{users: map[string]map[string]any{}}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	log := &strings.Builder{}
	conf := logical.TestBackendConfig()
	conf.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: log})
	storage := &logical.InmemStorage{}
	conf.StorageView = storage
	made, err := Factory(context.Background(), conf)
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{t: t, backend: made.(*backend), storage: storage, nexus: fake, log: log}
	e.must(logical.UpdateOperation, "config", map[string]any{"url": server.URL, "username": "admin", "password": adminPassword})
	e.must(logical.UpdateOperation, "roles/publish-x", map[string]any{"roles": []string{"publish-x"}})
	return e
}

func (e *engine) do(op logical.Operation, path string, data map[string]any) (*logical.Response, error) {
	return e.backend.HandleRequest(context.Background(), &logical.Request{Operation: op, Path: path, Data: data, Storage: e.storage})
}

func (e *engine) must(op logical.Operation, path string, data map[string]any) *logical.Response {
	e.t.Helper()
	response, err := e.do(op, path, data)
	if err != nil || (response != nil && response.IsError()) {
		e.t.Fatalf("%s %s: %v %v", op, path, response, err)
	}
	return response
}

func (e *engine) lease(op logical.Operation, secret *logical.Secret) (*logical.Response, error) {
	return e.backend.HandleRequest(context.Background(), &logical.Request{Operation: op, Secret: secret, Storage: e.storage})
}

func TestAUserLivesAsLongAsItsLease(t *testing.T) {
	e := newEngine(t)
	response := e.must(logical.ReadOperation, "creds/publish-x", nil)
	id := response.Data["username"].(string)
	if !strings.HasPrefix(id, "v-publish-x-") {
		t.Fatalf("user id %q", id)
	}
	user := e.nexus.users[id]
	if user == nil || user["password"] != response.Data["password"] || fmt.Sprint(user["roles"]) != "[publish-x]" {
		t.Fatalf("Nexus has %v", user)
	}
	if response.Secret.TTL != 10*time.Minute || response.Secret.MaxTTL != time.Hour || !response.Secret.Renewable {
		t.Fatalf("lease %+v", response.Secret)
	}
	renewed, err := e.lease(logical.RenewOperation, response.Secret)
	if err != nil || renewed.Secret.TTL != 10*time.Minute {
		t.Fatalf("renewal: %v %v", renewed, err)
	}
	for range 2 { // The second time the user is gone already.
		if _, err := e.lease(logical.RevokeOperation, response.Secret); err != nil {
			t.Fatal(err)
		}
	}
	if len(e.nexus.users) != 0 {
		t.Fatalf("left over: %v", e.nexus.users)
	}
}

func TestTwoReadsMakeTwoUsers(t *testing.T) {
	e := newEngine(t)
	one, two := e.must(logical.ReadOperation, "creds/publish-x", nil), e.must(logical.ReadOperation, "creds/publish-x", nil)
	if one.Data["username"] == two.Data["username"] || one.Data["password"] == two.Data["password"] {
		t.Fatal("the same credentials twice")
	}
}

func TestPasswordsAreNotShown(t *testing.T) {
	e := newEngine(t)
	if read := e.must(logical.ReadOperation, "config", nil); len(read.Data) != 2 || read.Data["username"] != "admin" {
		t.Fatalf("config reads %v", read.Data)
	}
	made := e.must(logical.ReadOperation, "creds/publish-x", nil)
	e.nexus.fail = http.StatusInternalServerError
	_, err := e.do(logical.ReadOperation, "creds/publish-x", nil)
	if err == nil || !strings.Contains(err.Error(), "500") {
		t.Fatalf("error %v", err)
	}
	for _, secret := range []string{adminPassword, made.Data["password"].(string), `"password"`} {
		if strings.Contains(err.Error(), secret) || strings.Contains(e.log.String(), secret) {
			t.Fatalf("%q in the error or the log", secret)
		}
	}
}

func TestConfigKeepsThePasswordThatIsLeftOut(t *testing.T) {
	e := newEngine(t)
	e.must(logical.UpdateOperation, "config", map[string]any{"username": "root"})
	c, err := loadConfig(context.Background(), e.storage)
	if err != nil || c.Username != "root" || c.Password != adminPassword {
		t.Fatalf("%v", err)
	}
}

func TestBadInputIsRefused(t *testing.T) {
	e := newEngine(t)
	for name, c := range map[string]struct {
		path string
		data map[string]any
		says string
	}{
		"address without a scheme": {"config", map[string]any{"url": "nexus:8081"}, "url must be"},
		"address with credentials": {"config", map[string]any{"url": "http://a:b@nexus"}, "url must be"},
		"no password":              {"config", map[string]any{"password": ""}, "password"},
		"no roles":                 {"roles/empty", nil, "at least one"},
		"max_ttl shorter than ttl": {"roles/publish-x", map[string]any{"ttl": 60, "max_ttl": 30}, "max_ttl"},
		"a ttl of nothing":         {"roles/publish-x", map[string]any{"ttl": 0}, "more than 0"},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := e.do(logical.UpdateOperation, c.path, c.data)
			if err != nil && err != logical.ErrInvalidRequest || response == nil || !response.IsError() {
				t.Fatalf("accepted: %v %v", response, err)
			}
			if !strings.Contains(response.Error().Error(), c.says) {
				t.Fatalf("says %v", response.Error())
			}
		})
	}
	if response, _ := e.do(logical.ReadOperation, "creds/absent", nil); !response.IsError() {
		t.Fatal("credentials of a role that isn't there")
	}
}

func TestRolesReadBack(t *testing.T) {
	e := newEngine(t)
	e.must(logical.UpdateOperation, "roles/publish-y", map[string]any{"roles": "a,b", "ttl": 60, "max_ttl": "2m"})
	read := e.must(logical.ReadOperation, "roles/publish-y", nil)
	if fmt.Sprint(read.Data) != "map[max_ttl:120 roles:[a b] ttl:60]" {
		t.Fatalf("reads %v", read.Data)
	}
	if names := e.must(logical.ListOperation, "roles/", nil).Data["keys"]; fmt.Sprint(names) != "[publish-x publish-y]" {
		t.Fatalf("lists %v", names)
	}
	e.must(logical.DeleteOperation, "roles/publish-y", nil)
	if read := e.must(logical.ReadOperation, "roles/publish-y", nil); read != nil {
		t.Fatalf("still reads %v", read)
	}
}

func TestAnUnfinishedCreationIsDeleted(t *testing.T) {
	e := newEngine(t)
	e.nexus.users["v-publish-x-lost"] = map[string]any{}
	ctx := context.Background()
	if _, err := framework.PutWAL(ctx, e.storage, orphanWAL, orphan{UserID: "v-publish-x-lost"}); err != nil {
		t.Fatal(err)
	}
	_, err := e.backend.HandleRequest(ctx, &logical.Request{
		Operation: logical.RollbackOperation, Storage: e.storage, Data: map[string]any{"immediate": true},
	})
	if err != nil || len(e.nexus.users) != 0 {
		t.Fatalf("%v, left over: %v", err, e.nexus.users)
	}
}

func TestWithoutConfigThereAreNoUsers(t *testing.T) {
	e := newEngine(t)
	e.must(logical.DeleteOperation, "config", nil)
	if _, err := e.do(logical.ReadOperation, "creds/publish-x", nil); err == nil || !strings.Contains(err.Error(), "not configured") {
		t.Fatalf("%v", err)
	}
}
