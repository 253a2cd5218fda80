package process

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// firstSpace is the inode of the pid namespace that Linux starts with
// (PROC_PID_INIT_INO in include/linux/proc_ns.h).
const firstSpace = "pid:[4026531836]"

// surroundings returns where this process is. It reads anew each time, which
// costs microseconds, because nothing says that a host keeps its name.
func surroundings() (place, bool) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return place{}, false
	}
	pids, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return place{}, false
	}
	// Start times are told relative to the reader's time namespace; kernels before
	// 5.6 have none.
	times, err := os.Readlink("/proc/self/ns/time")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return place{}, false
	}
	host, err := os.Hostname()
	if err != nil {
		return place{}, false
	}
	// machine-id(5) asks not to hand out the id as it is. Copies of a virtual
	// machine may share it, hence the name as well.
	sum := sha256.Sum256([]byte("nexus\x00" + machineID() + "\x00" + host))
	inode := func(link string) string {
		return strings.TrimSuffix(link[strings.IndexByte(link, '[')+1:], "]")
	}
	return place{
		machine: hex.EncodeToString(sum[:8]),
		boot:    strings.TrimSpace(string(boot)),
		space:   inode(pids) + "." + inode(times),
		first:   pids == firstSpace,
	}, true
}

func machineID() string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if text, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(text))
		}
	}
	return ""
}

// self returns the pid of this process. It is false if /proc is that of another
// namespace than ours, so that its pids are not ours.
func self() (pid int, ok bool) {
	link, err := os.Readlink("/proc/self")
	if err != nil || link != strconv.Itoa(os.Getpid()) {
		return 0, false
	}
	return os.Getpid(), true
}

func look(pid int) sighting {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		// With the mount option hidepid, the processes of other users are not shown.
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return sighting{what: absent}
		}
		return sighting{what: unclear}
	}
	found, err := stat(string(text))
	if err != nil {
		return sighting{what: unclear}
	}
	return found
}
