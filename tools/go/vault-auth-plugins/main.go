// HashiCorp's own auth backends as plugins of OpenBao, for the tests: those that OpenBao has not built in (aws, github,
// ldap), and the others as a second opinion beside OpenBao's. One program; which backend it serves is its first argument.
package main

import (
	"log"
	"os"

	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/builtin/credential/approle"
	aws "github.com/hashicorp/vault/builtin/credential/aws"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/credential/github"
	"github.com/hashicorp/vault/builtin/credential/ldap"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"
)

var backends = map[string]logical.Factory{
	"approle":    approle.Factory,
	"aws":        aws.Factory,
	"cert":       cert.Factory,
	"github":     github.Factory,
	"jwt":        jwt.Factory,
	"kubernetes": kubernetes.Factory,
	"ldap":       ldap.Factory,
	"userpass":   userpass.Factory,
}

func main() {
	if len(os.Args) < 2 || backends[os.Args[1]] == nil {
		log.Fatal("the first argument names the backend")
	}
	meta := &api.PluginAPIClientMeta{}
	if err := meta.FlagSet().Parse(os.Args[2:]); err != nil {
		log.Fatal(err)
	}
	err := plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: backends[os.Args[1]],
		TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
	})
	if err != nil {
		log.Fatal(err)
	}
}
