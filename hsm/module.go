package hsm

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// usualModules are the places where distributions put SoftHSM. Other modules are named by their path.
func usualModules() []string {
	return []string{
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so",
		"/usr/lib64/softhsm/libsofthsm2.so",
		"/usr/lib/pkcs11/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so",
		"/opt/homebrew/lib/softhsm/libsofthsm2.so",
		"/run/current-system/sw/lib/softhsm/libsofthsm2.so",
	}
}

// FindModule checks the module at an explicit path, or, when the path is empty, finds SoftHSM in the usual places.
// The path it returns has no symbolic links: one module under two names would be started twice.
func FindModule(explicit string) (string, error) {
	if explicit != "" {
		return checkModule(explicit)
	}
	for _, path := range usualModules() {
		if found, err := checkModule(path); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%w: SoftHSM is in none of its usual places", ErrModuleMissing)
}

// checkModule says why a file cannot be a module, which dlopen as the library calls it does not.
func checkModule(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%w: %s is not an absolute path", ErrModuleMissing, path)
	}
	resolved, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w at %s", ErrModuleMissing, path)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrModuleMissing, err)
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrModuleMissing, err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%w: %s is not a regular file", ErrNotModule, path)
	}
	if runtime.GOOS != "linux" {
		return resolved, nil // other systems use other formats; their loader decides
	}
	if why := notLoadable(resolved); why != "" {
		return "", fmt.Errorf("%w: %s %s", ErrNotModule, path, why)
	}
	return resolved, nil
}

// notLoadable says why an ELF file is no PKCS#11 module for this machine, or nothing.
func notLoadable(path string) string {
	file, err := elf.Open(path)
	if err != nil {
		return "is not an ELF file"
	}
	defer file.Close()
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM,
		"riscv64": elf.EM_RISCV, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390, "loong64": elf.EM_LOONGARCH}
	if want, known := machines[runtime.GOARCH]; known && file.Machine != want {
		return fmt.Sprintf("is for %s, this machine is %s", file.Machine, want)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return "has no dynamic symbols"
	}
	exported := func(s elf.Symbol) bool { return s.Name == "C_GetFunctionList" && s.Section != elf.SHN_UNDEF }
	if !slices.ContainsFunc(symbols, exported) {
		return "does not export C_GetFunctionList"
	}
	return ""
}
