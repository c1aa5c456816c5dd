"""What nearly every request says: the dictionary that lets a request fit into one QR code.

It belongs to the format FERRY1 of a request on paper and never changes: a paper made with another one
cannot be read. A better dictionary is a format FERRY2. What is likeliest stands last.
"""

WORDS = rb"""Dell Inc. Lenovo HPE DataON HitachiVantara PowerEdge ThinkAgile ProLiant DL380 Gen11
is_disconnected_operations time_floor, trusted_metadata the nodes differ: the nodes say: True nothing
solution_version, package_versions, sbe_family, sbe_version, update_state, health
run Get-SolutionUpdateEnvironment | Select-Object on node hardware.sku not asked, it would have taken too
long: language_modes of node this site does not know the node no listed update names it not answered
its name cannot be resolved to an address no answer in time (expected:
 "unknown": [
   {
    "what": "everything of node",
    "why": "connect to node node: the connection is refused"
   },
    "what": "discovery of Solution",
    "why": "the cluster does not tell it"
   }
  "trusted_metadata": {
   "root": 1,
   "snapshot": 17,
   "targets": 17,
   "timestamp": 17
  },
  "time_floor": "2026-
  "is_disconnected_operations": false,
  "endpoints": [
   {
    "group": "Revocation",
    "address": "ocsp.digicert.com:80",
    "address": "crl3.digicert.com:80",
    "is_reachable": true
   },
    "group": "Arc agent and ARM",
    "address": "login.microsoftonline.com:443",
    "address": "management.azure.com:443",
    "group": "AKS",
    "address": "hybridaks.azurecr.io:443",
    "address": "mcr.microsoft.com:443",
    "group": "ARB",
    "address": "kvamanagementoperator.azurecr.io:443",
    "address": "msk8s.api.cdp.microsoft.com:443",
    "group": "Microsoft Update",
    "address": "go.microsoft.com:80",
    "group": "Update download",
    "address": "azurestackreleases.download.prss.microsoft.com:443",
    "is_reachable": false
   },
   {
    "group": "Update discovery",
    "address": "aka.ms:443",
  "health": {
   "state": "Success",
   "failed_critical": [],
   "failed_warning": []
  },
    "AzStackHci_
  "language_modes": [
   {
    "node": "node",
    "mode": "ConstrainedLanguage"
    "mode": "FullLanguage"
   },
  "volumes": [
   {
    "node": "",
    "volume": "C:\\ClusterStorage\\UserStorage_1",
    "volume": "C:\\ClusterStorage\\Infrastructure_1",
    "volume": "D:",
    "volume": "C:",
    "free_bytes": 0,
    "size_bytes": 0
   }
  ],
  "discovery": [
   {
    "component": "Solution",
    "manifest_source": "https://aka.ms/AzureEdgeUpdates",
    "status": "",
    "description": "There was an exception reading the discovery manifest: An error occurred while
    "component": "SBE",
    "manifest_source": "https://aka.ms/AzureStackSBEUpdate/
    "status": "ConnectionFailure",
    "status": "Ok",
    "description": "Successfully read
  "updates": [
   {
    "resource_id": "redmond/Solution12.26
    "version": "12.26
    "state": "Installed Ready HasPrerequisite AdditionalContentRequired
    "package_type": "SBE",
    "package_type": "Solution",
    "sbe_version": "4.2.2",
    "sbe_family": "",
    "sbe_publisher": "",
    "min_version_required": "12.2510.1002.",
    "min_sbe_version_required": "2.0.0.0",
    "prerequisites": []
   },
  "node_count": 4,
  "update_state": "AppliedSuccessfully",
  "update_state": "UpdateAvailable",
  "hardware": {
   "manufacturer": "",
   "model": "",
   "sku": ""
  },
  "sbe_state": "not installed partially installed",
  "sbe_state": "installed",
  "package_versions": [
   {
    "package": "SBE",
    "version": "4.2.2
   },
    "package": "Platform",
    "package": "Services",
    "package": "Solution",
    "version": "12.26
  "sbe_publisher": "",
  "sbe_family": "",
  "sbe_version": "4.2.2
 },
 "signatures": [
  {
   "keyid": "
   "public": "
   "sig": "
  }
 ]
}
{
 "signed": {
  "kind": "ferry-request",
  "format": 1,
  "request_id": "
  "site_id": "
  "cluster": "
  "made_at": "2026-
  "origin": "typed",
  "origin": "measured",
  "tool": "ferry 0.
  "solution_version": "12.26"""
