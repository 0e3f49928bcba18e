package process

import "strings"

// secretOptions are the short options that take a secret, by the name of the
// program. They can have it behind them in the same word, or in the next.
var secretOptions = optionsOf(map[string]string{
	"-p": "7z 7za 7zr 7zz ccminer cpuminer login " + // docker login, podman login, oc login, …
		"mariadb mariadb-admin mariadb-backup mariadb-binlog mariadb-check mariadb-dump mariadb-import mariadb-show mariadb-slap minerd " +
		"mongo mongodump mongoexport mongofiles mongoimport mongorestore mongosh mongostat mongotop " +
		"mysql mysqladmin mysqlbinlog mysqlcheck mysqldump mysqlimport mysqlpump mysqlsh mysqlshow mysqlslap " +
		"rabbitmqadmin rar rdesktop sshpass unrar xmr-stak xmrig",
	"-P":  "ab bcp ipmitool microsocks mosquitto_pub mosquitto_rr mosquitto_sub sqlcmd tsql unzip zip zipcloak",
	"-A":  "ab snmpbulkget snmpbulkwalk snmpget snmpgetnext snmpset snmptable snmptrap snmpwalk",
	"-X":  "snmpbulkget snmpbulkwalk snmpget snmpgetnext snmpset snmptable snmptrap snmpwalk",
	"-O":  "ccminer cpuminer minerd xmrig",
	"-U":  "curl net rpcclient smbclient",
	"-a":  "http https keydb-cli redis-benchmark redis-cli valkey-benchmark valkey-cli xh",
	"-b":  "curl",
	"-c":  "gotty snmpbulkget snmpbulkwalk snmpget snmpgetnext snmpset snmptable snmptrap snmpwalk ttyd",
	"-k":  "openssl ss-local ss-manager ss-redir ss-server ss-tunnel sslocal ssmanager ssserver",
	"-K":  "openssl",
	"-n":  "transmission-remote",
	"-t":  "frpc frps",
	"-u":  "curl lftp turnserver",
	"-v":  "transmission-daemon",
	"-w":  "ldapadd ldapcompare ldapdelete ldapmodify ldapmodrdn ldappasswd ldapsearch ldapwhoami",
	"/p:": "wlfreerdp xfreerdp sdl-freerdp",
})

func optionsOf(programs map[string]string) map[string][]string {
	options := make(map[string][]string)
	for option, names := range programs {
		for _, name := range strings.Fields(names) {
			options[name] = append(options[name], option)
		}
	}
	return options
}

// longestCluster is the longest word, in bytes, that is taken for several short
// options in one.
const longestCluster = 5

// isCluster reports whether w is several short options of which the last is
// option, as -su is -s -u.
func isCluster(w, option string) bool {
	if len(w) < len("-su") || len(w) > longestCluster || w[0] != '-' || len(option) != len("-u") || w[len(w)-1] != option[1] {
		return false
	}
	for i := 1; i < len(w); i++ {
		if !isLower(w[i]) && !isUpper(w[i]) {
			return false
		}
	}
	return true
}
