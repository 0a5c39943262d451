"""What a cluster is made from before its first process starts: keys, certificates, kubeconfigs."""
