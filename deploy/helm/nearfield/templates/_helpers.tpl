{{/* The name of everything in a release. */}}
{{- define "nearfield.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 57 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 57 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 57 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "nearfield.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "nearfield.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "nearfield.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "nearfield.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "nearfield.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "nearfield.image" -}}
{{- $tag := default (printf "%s%s" .Chart.AppVersion (ternary "-cuda" "" .Values.gpu.enabled)) .Values.image.tag -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end -}}

{{/* Never shorter than what the server needs to drain, after the sleep before SIGTERM. */}}
{{- define "nearfield.gracePeriodSeconds" -}}
{{- add .Values.preStopSleepSeconds .Values.drainSeconds 10 | int -}}
{{- end -}}

{{/* nearfield.yaml. Addresses, data folder and device are flags, which beat the image's environment. */}}
{{- define "nearfield.config" -}}
{{- $taken := dict "listen" "listenHost and ports.grpc" "http" "listenHost and ports.http" "device" "gpu.enabled"
  "drain_seconds" "drainSeconds" "log_format" "logFormat" "models" "models" "tls" "tls.existingSecret" -}}
{{- range $key, $value := $taken -}}
{{- if hasKey $.Values.config $key -}}
{{- fail (printf "config.%s: set %s instead" $key $value) -}}
{{- end -}}
{{- end -}}
{{- if hasKey .Values.config "data_dir" -}}
{{- fail "config.data_dir: the data folder is always /data; bring a volume by persistence" -}}
{{- end -}}
{{- $config := dict "drain_seconds" .Values.drainSeconds "log_format" .Values.logFormat -}}
{{- if .Values.models -}}
{{- $_ := set $config "models" .Values.models -}}
{{- end -}}
{{- with .Values.tls -}}
{{- if .existingSecret -}}
{{- $tls := dict "certificate" "/etc/nearfield-tls/tls.crt" "private_key" "/etc/nearfield-tls/tls.key" -}}
{{- if .clientAuth -}}
{{- $_ := set $tls "client_ca" "/etc/nearfield-tls/ca.crt" -}}
{{- end -}}
{{- $_ := set $config "tls" $tls -}}
{{- else if .clientAuth -}}
{{- fail "tls.clientAuth: needs tls.existingSecret" -}}
{{- end -}}
{{- end -}}
{{- toYaml (merge $config (deepCopy .Values.config)) -}}
{{- end -}}

{{/*
One probe: call with root, the probe's values and the name of its health service. Kubernetes can't probe gRPC over TLS:
then HTTP is asked instead, where /livez is what "liveness" is to gRPC.
*/}}
{{- define "nearfield.probe" -}}
{{- if .root.Values.tls.existingSecret -}}
httpGet:
  port: http
  path: {{ ternary "/livez" "/healthz" (eq .service "liveness") }}
{{- else -}}
grpc:
  port: {{ .root.Values.ports.grpc }}
  service: {{ .service | quote }}
{{- end }}
{{ toYaml .values }}
{{- end -}}

{{/* `helm test` gets through, too. */}}
{{- define "nearfield.testPeer" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/instance: {{ .Release.Name }}
      app.kubernetes.io/component: test
{{- end -}}
