# Datadog Workflow that halts one agent when a monitor alerts. docs/monitor-halts.md explains the setup and the risks.
# Add the handle to the monitors that may halt: notifications.halt = ["@workflow-halt-agent(...)"] of the module
# observability/terraform, or spec.notifications.halt: ["workflow:halt-agent"] of a PurpleFleaObservability.

terraform {
  required_version = ">= 1.3"

  required_providers {
    datadog = {
      source  = "DataDog/datadog"
      version = "~> 4.19"
    }
  }
}

variable "connection_id" {
  description = "Id of the Kubernetes connection of the Private Action Runner. Datadog has no API for this kind of connection; create it under Actions > Connections."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.connection_id))
    error_message = "connection_id must be the id of a connection, such as 11111111-2222-3333-4444-555555555555."
  }
}

variable "namespace" {
  description = "Namespace of the agents."
  type        = string
  default     = "trading"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace must be the name of a namespace: lower case letters, digits and dashes."
  }
}

variable "dry_run" {
  description = "True sends each request as a dry run: the API server checks rights and content, and stores nothing."
  type        = bool
  default     = true
  nullable    = false
}

variable "halts_per_hour" {
  description = "Most runs of the workflow in an hour. Further alerts start no run."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.halts_per_hour >= 1 && var.halts_per_hour <= 60 && floor(var.halts_per_hour) == var.halts_per_hour
    error_message = "halts_per_hour must be a whole number from 1 to 60."
  }
}

variable "halt_hours" {
  description = "Hours after which the halt ends by itself (1 to 24)."
  type        = number
  default     = 12
  nullable    = false

  validation {
    condition     = var.halt_hours >= 1 && var.halt_hours <= 24
    error_message = "halt_hours must be between 1 and 24."
  }
}

locals {
  # The identity momentum-0 is the pod of the agent momentum. A text of any other form ends the run with an error.
  script = <<-EOT
    const found = /^([a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?)-[0-9]{1,5}$/.exec($.Trigger.agent_id || '');
    if (!found) { throw new Error('agent_id is not the identity of an agent'); }
    const end = new Date(Date.now() + ${var.halt_hours} * 3600 * 1000);
    return {
      apiVersion: 'purpleflea.com/v1alpha1',
      kind: 'PurpleFleaHalt',
      metadata: { name: 'monitor-' + found[1], namespace: '${var.namespace}' },
      spec: {
        level: 'Halt',
        reason: ('Datadog monitor ' + ($.Trigger.monitor || '')).replace(/[^ -~]/g, ' ').trim().slice(0, 120),
        selector: { names: [found[1]] },
        expiresAt: end.toISOString().replace(/[.][0-9]+Z$/, 'Z')
      }
    };
  EOT
}

resource "datadog_workflow_automation" "halt_agent" {
  name        = "Purple Flea: halt an agent"
  description = "Creates a PurpleFleaHalt for the agent of an alert, through a Private Action Runner."
  tags        = ["team:trading", "service:purpleflea-trading-agent"]
  published   = true

  spec_json = jsonencode({
    handle = "halt-agent"
    inputSchema = {
      parameters = [
        { name = "agent_id", type = "STRING" },
        { name = "monitor", type = "STRING", defaultValue = "" }
      ]
    }
    triggers = [{
      startStepNames = ["Build_halt"]
      monitorTrigger = { rateLimit = { count = var.halts_per_hour, interval = "3600s" } }
    }]
    connectionEnvs = [{
      env         = "default"
      connections = [{ connectionId = var.connection_id, label = "KUBERNETES" }]
    }]
    steps = [
      {
        name          = "Build_halt"
        actionId      = "com.datadoghq.datatransformation.func"
        parameters    = [{ name = "script", value = local.script }]
        outboundEdges = [{ nextStepName = "Create_halt", branchName = "main" }]
        display       = { bounds = { x = 0, y = 216 } }
      },
      {
        name            = "Create_halt"
        actionId        = "com.datadoghq.kubernetes.customresources.createCustomObject"
        connectionLabel = "KUBERNETES"
        parameters = concat(
          [
            { name = "namespace", value = var.namespace },
            { name = "group", value = "purpleflea.com" },
            { name = "version", value = "v1alpha1" },
            { name = "plural", value = "purplefleahalts" },
            { name = "body", value = "{{ Steps.Build_halt.data }}" },
            { name = "fieldManager", value = "datadog-workflow" },
            { name = "fieldValidation", value = "Strict" }
          ],
          var.dry_run ? [{ name = "dryRun", value = "All" }] : []
        )
        display = { bounds = { x = 0, y = 432 } }
      }
    ]
  })
}

output "handle" {
  description = "Handle for the message of a monitor that is grouped by agent_id."
  value       = "@workflow-halt-agent(agent_id=\"{{agent_id.name}}\", monitor=\"drawdown\")"
}
